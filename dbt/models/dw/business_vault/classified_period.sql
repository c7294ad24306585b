{{ config(
    incremental_strategy='renew',
    unique_key=['loan_hk', 'classification', 'effective_from'],
    meta={'affected_key': 'loan_hk'},
    pre_hook="{{ note_affected(affected_classifications()) }}",
    indexes=[{'columns': ['loan_hk', 'classification', 'effective_from'], 'unique': true}],
) }}

{{ with_affected('loan_hk') }}
sat_loan_classification as {{ rows_of(ref('sat_loan_classification')) }},
link_loan_classification as {{ rows_of(ref('link_loan_classification')) }},

first_known as (
    select s.loan_classification_hk, min(s.captured_at) as known_at
    from sat_loan_classification as s
    where {{ only_affected('loan_classification', 'link_loan_classification', 'loan_hk') }}
    group by s.loan_classification_hk
),

-- Of what an import only has a flag for, the first day is unknown. It counts from the day on which the platform was told.
stated as (
    select
        l.loan_hk,
        s.classification,
        coalesce(s.effective_from, {{ business_date('k.known_at') }}) as effective_from,
        coalesce(s.effective_to, cast('9999-12-31' as date)) as effective_to,
        case when s.effective_from is null then 0 else 1 end as is_dated
    from ({{ current_of('sat_loan_classification', 'loan_classification', only_affected('loan_classification', 'link_loan_classification', 'loan_hk')) }}) as s
    inner join link_loan_classification as l on l.link_hk = s.link_hk
    inner join first_known as k on k.loan_classification_hk = s.loan_classification_hk
),

-- Periods that touch or overlap are one, so that a day lies in one of them at most.
reached as (
    select
        s.*,
        max(s.effective_to) over (
            partition by s.loan_hk, s.classification
            order by s.effective_from, s.effective_to
            rows between unbounded preceding and 1 preceding
        ) as covered_to
    from stated as s
    where s.effective_from < s.effective_to
),

numbered as (
    select
        r.*,
        sum(case when r.effective_from <= r.covered_to then 0 else 1 end) over (
            partition by r.loan_hk, r.classification order by r.effective_from, r.effective_to rows unbounded preceding
        ) as period
    from reached as r
),

final as (
    select
        n.loan_hk,
        n.classification,
        min(n.effective_from) as effective_from,
        max(n.effective_to) as effective_to,
        min(n.is_dated) as is_dated
    from numbered as n
    group by n.loan_hk, n.classification, n.period
)

select * from final
