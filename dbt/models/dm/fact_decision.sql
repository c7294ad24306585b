{{ config(
    materialized='incremental',
    incremental_strategy='renew',
    unique_key=['application_hk'],
    meta={'affected_key': 'application_hk', 'partitions': [
        {'kind': "'submitted'", 'day': 'first_submitted_on', 'monthly': true},
        {'kind': "'decided'", 'day': 'decided_on', 'monthly': true},
    ]},
    pre_hook=["{{ note_affected(affected_applications()) }}"],
    indexes=[
        {'columns': ['application_hk'], 'unique': true},
        {'columns': ['application_id']},
        {'columns': ['first_submitted_on']},
        {'columns': ['decided_on']},
    ],
) }}

{{ with_affected('application_hk') }}
sat_application as {{ rows_of(ref('sat_application')) }},
sat_application_event as {{ rows_of(ref('sat_application_event')) }},
link_application_event as {{ rows_of(ref('link_application_event')) }},
pit_application as {{ rows_of(ref('pit_application')) }},
sat_application_version as {{ rows_of(ref('sat_application_version')) }},
sat_loan as {{ rows_of(ref('sat_loan')) }},
link_loan as {{ rows_of(ref('link_loan')) }},
hub_loan as {{ rows_of(ref('hub_loan')) }},
hub_application as {{ rows_of(ref('hub_application')) }},
hub_product as {{ rows_of(ref('hub_product')) }},
sat_product_parameters as {{ rows_of(ref('sat_product_parameters')) }},

applications as (
    {{ current_of('sat_application', 'application', 's.application_hk in (select a.application_hk from affected as a)' if is_incremental() else '1 = 1') }}
),

events as (
    select
        l.application_hk,
        s.to_state,
        s.occurred_at,
        lead(s.occurred_at) over (partition by l.application_hk order by s.occurred_at, l.id) as left_at,
        min(case when s.to_state in ('APPROVED', 'REJECTED') then s.occurred_at end) over (partition by l.application_hk) as decided_at
    from ({{ current_of('sat_application_event', 'application_event', only_affected('application_event', 'link_application_event', 'application_hk')) }}) as s
    inner join link_application_event as l on l.link_hk = s.link_hk
),

milestones as (
    select
        e.application_hk,
        min(case when e.to_state = 'SUBMITTED' then e.occurred_at end) as first_submitted_at,
        max(case when e.to_state = 'SUBMITTED' then e.occurred_at end) as last_submitted_at,
        min(case when e.to_state = 'IN_REVIEW' then e.occurred_at end) as review_started_at,
        min(case when e.to_state = 'RETURNED' then e.occurred_at end) as first_returned_at,
        sum(case when e.to_state = 'RETURNED' then 1 else 0 end) as returned_count,
        -- A return that is still open has no end; its time is counted by whoever knows the reporting date.
        sum(case
            when e.to_state = 'RETURNED' and e.left_at is not null and (e.decided_at is null or e.occurred_at < e.decided_at)
                then {{ hours_between('e.occurred_at', 'e.left_at') }}
        end) as returned_hours,
        min(e.decided_at) as decided_at,
        min(case when e.to_state = 'APPROVED' then e.occurred_at end) as approved_at,
        min(case when e.to_state = 'REJECTED' then e.occurred_at end) as rejected_at,
        min(case when e.to_state = 'BOOKED' then e.occurred_at end) as booked_at,
        min(case when e.to_state = 'WITHDRAWN' then e.occurred_at end) as withdrawn_at,
        min(case when e.to_state = 'EXPIRED' then e.occurred_at end) as expired_at
    from events as e
    group by e.application_hk
),

{% set all_versions %}
        select
            p.*,
            s.amount,
            s.currency,
            s.term_months,
            s.purpose,
            s.channel,
            s.maker,
            s.score,
            count(*) over (partition by p.application_hk) as version_count
        from pit_application as p
        inner join sat_application_version as s
            on s.application_version_hk = p.application_version_hk and {{ same_position('s', 'p', 'version_') }}
        {%- if is_incremental() %}
        where p.application_hk in (select a.application_hk from affected as a)
        {%- endif %}
{% endset -%}
versions as (
    {{ last_of_each(all_versions, ['application_hk'], ['version']) }}
),

loans as (
    select l.application_hk, min(h.loan_id) as loan_id
    from ({{ current_of('sat_loan', 'loan', only_affected('loan', 'link_loan', 'application_hk')) }}) as s
    inner join link_loan as l on l.link_hk = s.link_hk
    inner join hub_loan as h on h.loan_hk = l.loan_hk
    group by l.application_hk
),

final as (
    select
        cast(a.application_hk as varchar(64)) as application_hk,
        h.application_id,
        a.state,
        case when a.state in ('SUBMITTED', 'IN_REVIEW', 'RETURNED') then 1 else 0 end as is_open,
        case
            when m.decided_at is null then 'none'
            when m.decided_at = m.approved_at then 'approved'
            else 'rejected'
        end as decision,
        cast(case when v.product_position_major = 0 then {{ hash_of([ghost_key(), '0', '0']) }} else {{ version_key('product', 'v', 'product_') }} end as varchar(64)) as product_key,
        cast({{ version_key('party', 'v', 'party_') }} as varchar(64)) as borrower_key,
        coalesce(p.product_code, 'none') as product_code,
        coalesce(v.channel, 'none') as channel,
        v.purpose,
        v.currency,
        v.amount as requested_amount,
        v.term_months,
        v.score,
        v.maker,
        f.interest_rate as product_interest_rate,
        f.probability_of_default,
        f.loss_given_default,
        cast(coalesce(v.version_count, 0) as bigint) as version_count,
        n.loan_id,
        a.created_at,
        m.first_submitted_at,
        {{ business_date('m.first_submitted_at') }} as first_submitted_on,
        m.last_submitted_at,
        m.review_started_at,
        m.first_returned_at,
        cast(coalesce(m.returned_count, 0) as bigint) as returned_count,
        cast(coalesce(m.returned_hours, 0) as numeric(19, 4)) as returned_hours,
        m.decided_at,
        {{ business_date('m.decided_at') }} as decided_on,
        m.approved_at,
        m.rejected_at,
        m.booked_at,
        {{ business_date('m.booked_at') }} as booked_on,
        m.withdrawn_at,
        m.expired_at,
        {{ hours_between('m.first_submitted_at', 'm.decided_at') }} as hours_to_decision,
        cast({{ hours_between('m.first_submitted_at', 'm.decided_at') }} - coalesce(m.returned_hours, 0) as numeric(19, 4)) as hours_to_decision_without_returned
    from applications as a
    inner join hub_application as h on h.application_hk = a.application_hk
    left join milestones as m on m.application_hk = a.application_hk
    left join versions as v on v.application_hk = a.application_hk
    left join hub_product as p on p.product_hk = v.product_hk
    left join loans as n on n.application_hk = a.application_hk
    left join sat_product_parameters as f
        on f.product_parameters_hk = v.product_parameters_hk and {{ same_position('f', 'v', 'parameters_') }}
)

select * from final
