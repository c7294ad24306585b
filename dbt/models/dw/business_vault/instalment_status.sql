{{ config(materialized='view') }}

with
snapshot_calendar as {{ rows_of(ref('snapshot_calendar')) }},
loan_movement as {{ rows_of(ref('loan_movement')) }},
payment_allocation as {{ rows_of(ref('payment_allocation')) }},
instalment_schedule as {{ rows_of(ref('instalment_schedule')) }},

reported as (
    select c.snapshot_date as as_of_date from snapshot_calendar as c where c.snapshot_kind = 'as_of'
),

paid as (
    select m.loan_hk, sum(m.amount) as amount
    from loan_movement as m
    cross join reported as r
    where m.effect = 'payment' and m.effective_on <= r.as_of_date
    group by m.loan_hk
),

settled as (
    select a.loan_hk, a.number, max(a.effective_on) as last_paid_on
    from payment_allocation as a
    group by a.loan_hk, a.number
),

applied as (
    select
        i.loan_hk,
        i.number,
        i.due_on,
        i.principal + i.interest as due_amount,
        case
            when coalesce(p.amount, 0) >= i.due_after then i.principal + i.interest
            when coalesce(p.amount, 0) <= i.due_before then 0
            else p.amount - i.due_before
        end as paid_amount,
        r.as_of_date
    from instalment_schedule as i
    cross join reported as r
    left join paid as p on p.loan_hk = i.loan_hk
),

final as (
    select
        a.loan_hk,
        a.number,
        a.due_on,
        a.due_amount,
        a.paid_amount,
        case when a.paid_amount = a.due_amount then s.last_paid_on end as settled_on,
        case
            when a.paid_amount < a.due_amount and a.due_on < a.as_of_date then {{ days_between('a.due_on', 'a.as_of_date') }}
            else 0
        end as days_past_due
    from applied as a
    left join settled as s on s.loan_hk = a.loan_hk and s.number = a.number
)

select * from final
